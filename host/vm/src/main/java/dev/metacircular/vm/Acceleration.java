package dev.metacircular.vm;

/**
 * The accelerator that a VM got, and why.
 *
 * @param accelerator what executes the guest
 * @param reason one line for a person, such as why KVM was not taken
 */
public record Acceleration(Accelerator accelerator, String reason) {}
