"""Masked brain modelling: the masked autoencoder of voxels, its patches, and what reads conditions from it."""
