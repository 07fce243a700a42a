"""All stories of docs/RULES.md, by number; a day is as long as the stage says."""

from deploy.stories import alone, goods, mediated
from deploy.stories.claims import BROKEN, disputed
from deploy.stories.dialogue import Story

__all__ = ["BROKEN", "STORIES", "disputed"]

STORIES = {
    one.number: one for chapter in (alone, mediated, goods) for one in vars(chapter).values() if isinstance(one, Story)
}
