// Package e2e holds tests alone: they build the sallyport command, start
// "sallyport dev", and use it as people and foreign programs do, with a real
// browser and the real Authlib. It is a module of its own, so that nobody who
// imports Sallyport downloads a browser driver.
package e2e
