"""Double conditioning: a stack fine-tuned on one subject, whose UNet is conditioned on voxels by two paths."""
