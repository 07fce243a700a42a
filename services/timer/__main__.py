from services.timer.app import APP

APP.run()
