from services.timer.app import APP
from shared.runtime.process import run

run(APP)
