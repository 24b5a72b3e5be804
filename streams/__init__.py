"""Topics to topics: the Faust agents and the models that they run."""
