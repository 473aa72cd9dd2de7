"""Pods in, activity out: how a product is asked who was active, and what its answer proves.

``presets`` turns what a user wrote into an ``EffectiveSource``; ``poll`` names what goes into one
poll and what comes out; ``worker`` runs polls in processes of their own, so that no answer can
stall or kill the operator. Raw user ids never leave such a process and live for one page.
"""
