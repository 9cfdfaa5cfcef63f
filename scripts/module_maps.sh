#!/bin/bash
# The module maps of the C targets that a debug build has made modules of, one a line.
find Sources .build/checkouts/*/Sources -name module.modulemap
find .build/debug/ -path '*C*.build/module.modulemap' -o -path '*_*.build/module.modulemap'
