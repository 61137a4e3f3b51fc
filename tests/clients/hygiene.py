"""What no problem may say: the patterns of `tests/denied.txt`, which the crates' tests read too."""

import pathlib
import re

DENIED = [re.compile(line) for line in (pathlib.Path(__file__).parents[1] / "denied.txt").read_text().splitlines()
          if line and not line.startswith("#")]


def leak(text):
    """The first thing in a problem's text that has no business there."""
    for denied in DENIED:
        if found := denied.search(text):
            return found.group(0)
    return None


def check(text):
    """Fails the test when a problem says what it must not."""
    found = leak(text)
    assert found is None, f"a problem says {found!r}: {text}"


def check_answers(requests):
    """Judges every problem that this client gets from now on."""
    plain = requests.Session.send

    def send(session, request, **options):
        answer = plain(session, request, **options)
        if answer.headers.get("Content-Type", "").startswith("application/problem+json") and not options.get("stream"):
            check(answer.text)
        return answer

    requests.Session.send = send
