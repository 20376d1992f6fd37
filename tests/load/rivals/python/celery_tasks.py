"""Celery's side: settings for short tasks, as its user guide's chapter on optimising has them."""

import os

from celery import Celery

import noop_model

app = Celery("contender", broker=os.environ["REDIS_URL"], backend=os.environ["REDIS_URL"])
app.conf.update(
    # JSON, the default, is small here: the task holds an id and a question.
    task_serializer="json",
    result_serializer="json",
    accept_content=["json"],
    # The default: a task is acknowledged before it runs. Faster, and lost when its worker dies.
    task_acks_late=False,
    # The guide's advice for many short tasks is 64 or 128 instead of 4.
    worker_prefetch_multiplier=64,
    worker_disable_rate_limits=True,
    task_track_started=False,
    worker_send_task_events=False,
    task_send_sent_event=False,
    result_expires=600,
    task_default_delivery_mode="transient",
)


@app.task(name="answer", bind=True)
def answer(self, question: str) -> dict:
    return noop_model.answer(self.request.id, question)
