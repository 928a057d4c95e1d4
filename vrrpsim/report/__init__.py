"""One module for each form in which a run is shown."""
