from services.mediation.app import APP
from shared.runtime.process import run

run(APP)
