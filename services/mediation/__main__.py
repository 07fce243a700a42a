from services.mediation.app import APP

APP.run()
