"""Voxelwise encoding models: from features of a stimulus to each voxel, and how accurate that is."""
