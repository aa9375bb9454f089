#!/bin/sh
# Not Python: the noise is the remainder of a product.
lr=$1 seed=$2
noise=$(( (seed * 7919 + 104729) % 100 ))
case $lr in 1e-4) level=92 ;; *) level=90 ;; esac
echo "epoch 1 val_acc 0.${level}$(printf %02d "$noise")"
