"""The network: preprocessor, encoders, predictor, joiner. Models know no loss, no stage and no optimizer."""
