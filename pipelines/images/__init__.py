"""Pipelines that draw pictures, from text conditions or from image embeddings, and a random stack for tests."""
