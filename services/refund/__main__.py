from services.refund.app import APP

APP.run()
