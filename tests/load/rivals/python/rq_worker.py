"""
One RQ worker; as many are started as there are cores. SimpleWorker runs jobs in its own process: RQ's notes on
performance name it as the fast one for jobs of single-digit milliseconds. The default forks for every job.
"""

import logging
import os

from redis import Redis
from rq import Queue, SimpleWorker

import rq_tasks  # noqa: F401, imported once instead of at the first job

connection = Redis.from_url(os.environ["REDIS_URL"])
SimpleWorker([Queue("noop", connection=connection)], connection=connection, log_job_description=False).work(
    logging_level=logging.WARNING
)
