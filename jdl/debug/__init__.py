"""Floor 5: what to ask when something is wrong."""

from jdl.debug._checked import checked as checked
from jdl.debug._nan_report import NanReport as NanReport
from jdl.debug._nan_report import NotFinite as NotFinite
from jdl.debug._nan_report import nan_report as nan_report
from jdl.debug._profile import Cost as Cost
from jdl.debug._profile import Profile as Profile
from jdl.debug._profile import profile as profile
from jdl.debug._retraces import warn_retraced as warn_retraced
