"""Tokenized data: readers -> handlers -> templates -> encoding -> packing -> indexed .bin/.idx files."""
