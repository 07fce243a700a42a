from services.dispute.app import APP

APP.run()
