"""Files of models and weights. Every function takes the model as an argument, so these modules are below models."""
