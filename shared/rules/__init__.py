"""What every rule book needs: calendars, policies, money, who may act, what evidence may be shown. Pure."""
