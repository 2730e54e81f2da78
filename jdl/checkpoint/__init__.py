"""Floor 5: state on the disk. Checkpoints that survive kills, full disks and flipped bits, or are found out and never loaded."""

from jdl.checkpoint._arrays import Mismatch as Mismatch
from jdl.checkpoint._arrays import Report as Report
from jdl.checkpoint._export import export as export
from jdl.checkpoint._keep import Every as Every
from jdl.checkpoint._keep import every as every
from jdl.checkpoint._keep import keep as keep
from jdl.checkpoint._lock import FolderInUse as FolderInUse
from jdl.checkpoint._manifest import Damaged as Damaged
from jdl.checkpoint._restore import Restored as Restored
from jdl.checkpoint._restore import RestoreWarning as RestoreWarning
from jdl.checkpoint._restore import restore as restore
from jdl.checkpoint._saver import SaveError as SaveError
from jdl.checkpoint._saver import Saver as Saver
from jdl.checkpoint._saver import save as save
from jdl.checkpoint._store import Saved as Saved
from jdl.checkpoint._store import steps as steps
from jdl.checkpoint._store import verify as verify
