"""All stories of docs/RULES.md, by number; a day is as long as the stage says."""

from deploy.stories import alone, goods, mediated, payments, people
from deploy.stories.dialogue import Story

STORIES = {
    one.number: one
    for chapter in (alone, mediated, goods, payments, people)
    for one in vars(chapter).values()
    if isinstance(one, Story)
}
