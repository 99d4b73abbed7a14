"""What is asked of data before anything is fitted: averages, standardisation, ceilings, leaks, validity, design."""
