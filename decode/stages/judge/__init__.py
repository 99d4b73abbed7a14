"""Judge: samples become a report; curves and the voxelwise encoder beside it."""
