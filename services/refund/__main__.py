from services.refund.app import APP
from shared.runtime.process import run

run(APP)
