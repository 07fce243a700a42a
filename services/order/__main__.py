from services.order.app import APP

APP.run()
