from services.order.app import APP
from shared.runtime.process import run

run(APP)
