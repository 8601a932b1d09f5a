"""The only place that orders steps: accept, plan, deliver, replay."""
