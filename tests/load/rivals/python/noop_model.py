"""The model of both Python contenders: it reads the image and says how many bytes it got."""

import os

from redis import Redis

# One connection a process; redis-py opens it anew after a fork. With hiredis, its C parser.
store = Redis.from_url(os.environ["REDIS_URL"])


def answer(job_id: str, question: str) -> dict:
    # The image isn't in the task: as base64 inside JSON it would be parsed by broker library, worker and
    # Redis alike. GETDEL rather than GET and DEL: one round trip less. A retry would miss the image, but
    # these contenders acknowledge early and don't retry, which is their faster setting.
    image = store.getdel(f"image:{job_id}")
    if image is None:
        raise LookupError("the image is gone")
    return {"answers": [{"answer": f"{len(image)} bytes", "score": 1.0}]}
