"""Health probe of a container: does a URL answer 200, and does its JSON say what it should?

    python probe.py URL [DOTTED.KEY=VALUE ...]

The slim base image has no curl, and a probe should not start the whole of Airflow. Exit code 0 is healthy, 1 is not.
"""

from __future__ import annotations

import http.client
import json
import sys
import urllib.error
import urllib.request

_TIMEOUT_SECONDS = 5.0


def complaint(url: str, expectations: list[str]) -> str:
    """Return why the service isn't healthy, or an empty string.

    Args:
        url: Asked with GET; anything but status 200 is unhealthy.
        expectations: `dotted.key=value` pairs, looked up in the JSON answer.
    """
    try:
        # A proxy from the environment must not stand between a container and itself.
        opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
        with opener.open(url, timeout=_TIMEOUT_SECONDS) as response:
            status, body = response.status, response.read()
    except urllib.error.HTTPError as error:
        status, body = error.code, b""
        error.close()
    except (OSError, http.client.HTTPException) as error:
        return f"{url} does not answer: {error}"
    if status != 200:
        return f"{url} answered {status}, expected 200"
    if not expectations:
        return ""
    try:
        document = json.loads(body)
    except ValueError:
        return f"{url} did not answer with JSON"
    for expectation in expectations:
        path, _, expected = expectation.partition("=")
        found = document
        for key in path.split("."):
            found = found.get(key) if isinstance(found, dict) else None
        if found != expected:
            return f"{path} is {found!r}, expected {expected!r}"
    return ""


if __name__ == "__main__":
    if len(sys.argv) < 2:
        sys.exit(__doc__)
    sys.exit(complaint(sys.argv[1], sys.argv[2:]) or 0)
