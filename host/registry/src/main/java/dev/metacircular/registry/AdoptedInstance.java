package dev.metacircular.registry;

import dev.metacircular.model.ComponentId;

/**
 * An instance that bears no labels of ours and belongs to a component all the same.
 *
 * @param runtime of the instance
 * @param generation of the service by the adoption
 */
public record AdoptedInstance(ComponentId component, String runtime, String instance, long generation) {}
