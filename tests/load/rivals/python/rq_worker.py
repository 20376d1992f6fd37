"""
`rq_worker.py rq.SimpleWorker`: one RQ worker; as many are started as there are cores. SimpleWorker runs jobs in its
own process: RQ's notes on performance name it as the fast one for jobs of single-digit milliseconds. The
default, rq.Worker, forks for every job.
"""

import logging
import os
import sys

from redis import Redis
from rq import Queue
from rq.utils import import_attribute

import rq_tasks  # noqa: F401, imported once instead of in every fork

connection = Redis.from_url(os.environ["REDIS_URL"])
worker_class = import_attribute(sys.argv[1])
worker_class([Queue("noop", connection=connection)], connection=connection, log_job_description=False).work(
    logging_level=logging.WARNING
)
