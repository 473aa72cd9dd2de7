"""Pods in, activity out: how a product is read, and what its answers prove.

``presets`` turns what a user wrote into an ``EffectiveSource``; ``poll`` names what goes into one
poll and what comes out; ``worker`` runs polls in processes of their own, so that no answer can
stall or kill the operator. Raw user ids never leave such a process and live for one page.
"""
