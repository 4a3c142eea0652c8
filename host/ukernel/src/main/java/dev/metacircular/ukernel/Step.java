package dev.metacircular.ukernel;

/**
 * What one step towards a result did.
 *
 * @param name what it is about: build, pack
 * @param changed whether there was anything to do
 * @param summary the outcome in a line for people
 */
record Step(String name, boolean changed, String summary) {}
