"""The ground floor: responses, stimuli, splits and regions; the readers of data sets; the simulated brain."""
