from __future__ import annotations

import pytest

from plugin.domain.episode import Episode, same_episode

FIRST = Episode("first", 1, mark="m1", status="solved")
SECOND = Episode("second", 2, mark="m2", status="solved")
ENDED = Episode("ended", 3, mark="m3", status="solved", ended=True)
CLOSED = Episode("closed", 4, mark="m4", status="closed")


@pytest.mark.parametrize(
    ("latest", "marked", "mark", "status", "same"),
    [
        # A ticket that was never closed before.
        (None, None, "m1", "solved", None),
        (None, None, None, None, None),
        # The mark of a closing tells it from others, however late it comes.
        (SECOND, SECOND, "m2", "solved", SECOND),
        (SECOND, FIRST, "m1", "solved", FIRST),
        (ENDED, ENDED, "m3", "solved", ENDED),
        (SECOND, None, "m9", "solved", None),
        # Without a mark each closing is another one ...
        (FIRST, None, None, "solved", None),
        (FIRST, None, None, None, None),
        # ... but a solved ticket closes by itself.
        (FIRST, None, "m9", "closed", FIRST),
        (FIRST, None, None, "closed", FIRST),
        (ENDED, None, None, "closed", None),
        (CLOSED, None, None, "closed", None),
        (Episode("x", 1), None, None, "closed", None),
    ],
)
def test_a_closing_repeats_an_episode_or_begins_one(latest, marked, mark, status, same):
    assert same_episode(latest, marked, mark=mark, status=status) == same
