"""Holds every deadline durably and rings after its instant, into the asking service's inbox."""
