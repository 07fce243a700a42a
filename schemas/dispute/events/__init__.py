"""What it says: all of it by one name, told in chapters."""

from schemas.dispute.events.answers import *
from schemas.dispute.events.claim import *
from schemas.dispute.events.ending import *
from schemas.dispute.events.goods import *
from schemas.dispute.events.reminding import *
