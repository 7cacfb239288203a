"""Training: the fine-tuned way beside the boxes, and the pocket student made from scratch."""
