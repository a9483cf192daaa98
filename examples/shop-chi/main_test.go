package main

import (
	"testing"

	"github.com/sallyport-id/sallyport/examples/internal/trial"
)

func TestShopWithChi(t *testing.T) { trial.Shop(t, newShop) }
