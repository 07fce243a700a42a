from services.notification.app import APP

APP.run()
