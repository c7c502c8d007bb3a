"""Training on several processes and machines, with the same bits at any number of them."""

from pyrnn.distributed.data_parallel import DataParallel as DataParallel
from pyrnn.distributed.data_parallel import distribution as distribution
from pyrnn.distributed.data_parallel import initialize as initialize
from pyrnn.distributed.data_parallel import set_distribution as set_distribution
from pyrnn.explaining import explain

__all__ = ["DataParallel", "distribution", "initialize", "set_distribution"]

explain(__name__)
