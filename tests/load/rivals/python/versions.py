"""Prints the versions of what the contenders are made of, as JSON; fails where one can't be imported."""

import json
import platform

import celery
import fastapi
import hiredis
import httptools  # noqa: F401, uvicorn takes it where it is there
import redis
import rq
import uvicorn
import uvloop

print(
    json.dumps(
        {
            "python": platform.python_version(),
            "celery": celery.__version__,
            "rq": rq.VERSION,
            "fastapi": fastapi.__version__,
            "uvicorn": uvicorn.__version__,
            "uvloop": uvloop.__version__,
            "redis-py": redis.__version__,
            "hiredis": hiredis.__version__,
        }
    )
)
