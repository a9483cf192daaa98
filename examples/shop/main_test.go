package main

import (
	"testing"

	"github.com/sallyport-id/sallyport/examples/internal/trial"
)

func TestMain(m *testing.M) { trial.Main(m) }

func TestShop(t *testing.T) { trial.Shop(t, newShop) }
