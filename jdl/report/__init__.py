"""Wing of floor 5: what people look at. Tables need rich, plots matplotlib (extra `experiments`)."""

from jdl.metrics._interval import Interval as Interval
from jdl.metrics._interval import interval as interval
from jdl.report._event import Event as Event
from jdl.report._logs import csv_log as csv_log
from jdl.report._page import html as html
from jdl.report._plots import confusion as confusion
from jdl.report._plots import curves as curves
from jdl.report._plots import images as images
from jdl.report._summary import Summary as Summary
from jdl.report._summary import summary as summary
from jdl.report._table import table as table
from jdl.report._tensorboard import tensorboard_log as tensorboard_log
