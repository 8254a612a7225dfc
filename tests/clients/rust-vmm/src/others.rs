// SPDX-License-Identifier: GPL-2.0-only
//! Calls of the crates that cloud-hypervisor does not make, and other VMMs do: OpenVMM gives its guests messages
//! and events itself, and waits for room for them.
use super::*;

const MESSAGES: u64 = 0x7000;
const EVENTS: u64 = 0x8000;
const SINT: u8 = 2;
const SLOT: usize = MESSAGES as usize + SINT as usize * 256;

fn word_at(c: &Client, gpa: usize) -> u32 {
    // SAFETY: it lies inside the guest's memory; the guest does not run.
    unsafe { c.memory.add(gpa).cast::<u32>().read_volatile() }
}

fn resume_at_code(c: &mut Client, bytes: &[u8]) -> Outcome {
    code(bytes, c.memory);
    let mut registers = c.vcpus[0].get_regs().map_err(words)?;
    registers.rip = CODE as u64;
    c.vcpus[0].set_regs(&registers).map_err(words)
}

pub fn host_properties(c: &mut Client) -> Outcome {
    let features = hv_partition_property_code_HV_PARTITION_PROPERTY_PROCESSOR_FEATURES0;
    if c.mshv.get_host_partition_property(features).map_err(words)? == 0 {
        return Err("the host has no processor features".into());
    }
    c.mshv.get_vmm_caps().map_err(words)?;
    Ok(())
}

pub fn accessed(c: &mut Client) -> Outcome {
    let pages = (MEMORY / PAGE) as u64;
    // out 0x80, al
    resume_at_code(c, &[0xe6, 0x80])?;
    c.run()?;
    let (kind, look) = (MSHV_GPAP_ACCESS_TYPE_ACCESSED as u8, MSHV_GPAP_ACCESS_OP_NOOP as u8);
    let bits = c.vm.get_gpap_access_bitmap(0, pages, kind, look).map_err(words)?;
    same!(bits[0] >> (CODE / PAGE) & 1, 1);
    Ok(())
}

pub fn resample(c: &mut Client) -> Outcome {
    let resample = EventFd::new(libc::EFD_NONBLOCK).map_err(|e| e.to_string())?;
    // Only of a level there is an end to hear of.
    route(c, 0x8055)?;
    c.vm.register_irqfd_with_resample(&c.interrupt, &resample, 30).map_err(words)?;
    c.vm.unregister_irqfd(&c.interrupt, 30).map_err(words)
}

pub fn exceptions(c: &mut Client) -> Outcome {
    let request = |access| mshv_install_intercept {
        access_type_mask: access,
        intercept_type: hv_intercept_type_HV_INTERCEPT_TYPE_EXCEPTION,
        intercept_parameter: hv_intercept_parameters { exception_vector: 6 },
    };
    c.vm.install_intercept(request(HV_INTERCEPT_ACCESS_MASK_EXECUTE)).map_err(words)?;
    // ud2
    resume_at_code(c, &[0x0f, 0x0b])?;
    let message = c.run()?;
    same!({ message.header.message_type }, hv_message_type_HVMSG_X64_EXCEPTION_INTERCEPT);
    let exception = message.to_exception_info().map_err(|e| format!("{e:?}"))?;
    same!({ exception.exception_vector }, 6);
    c.vm.install_intercept(request(0)).map_err(words)
}

fn post(c: &Client, kind: u32) -> Result<(), MshvError> {
    // The header of a message (TLFS, 11.4): type, payload size, flags, two of padding, sender; then the payload.
    let mut message = [0; 32];
    message[..4].copy_from_slice(&kind.to_le_bytes());
    message[4] = 16;
    message[16..].copy_from_slice(b"a parent's words");
    c.vm.post_message_direct(0, SINT, &message)
}

pub fn messages(c: &mut Client) -> Outcome {
    let register = |name, value| hv_register_assoc {
        name,
        value: hv_register_value { reg64: value },
        ..Default::default()
    };
    c.vcpus[0]
        .set_reg(&[
            register(hv_register_name_HV_REGISTER_SIMP, MESSAGES | 1),
            register(hv_register_name_HV_REGISTER_SIEFP, EVENTS | 1),
            register(hv_register_name_HV_REGISTER_SCONTROL, 1),
            register(hv_register_name_HV_REGISTER_SINT2, 0x60),
        ])
        .map_err(words)?;
    post(c, 7).map_err(words)?;
    // One waits, and there is room for no other.
    if post(c, 8).is_ok() {
        return Err("two messages wait for one SINT".into());
    }
    // out 0x80, al
    resume_at_code(c, &[0xe6, 0x80])?;
    c.run()?;
    same!(word_at(c, SLOT), 7);
    same!(word_at(c, SLOT + 16), u32::from_le_bytes(*b"a pa"));
    c.vm.register_deliverabilty_notifications(0, 1 << (48 + SINT)).map_err(words)?;
    // mov dword [SLOT], 0; mov ecx, EOM; xor eax, eax; xor edx, edx; wrmsr; out 0x80, al
    let mut bytes = vec![0xc7, 0x05];
    bytes.extend_from_slice(&(SLOT as u32).to_le_bytes());
    bytes.extend_from_slice(&[0, 0, 0, 0, 0xb9, 0x84, 0, 0, 0x40, 0x31, 0xc0, 0x31, 0xd2, 0x0f, 0x30, 0xe6, 0x80]);
    resume_at_code(c, &bytes)?;
    let message = c.run()?;
    same!({ message.header.message_type }, hv_message_type_HVMSG_SYNIC_SINT_DELIVERABLE);
    let room = message.to_sint_deliverable_info().map_err(|e| format!("{e:?}"))?;
    same!({ room.deliverable_sints }, 1 << SINT);
    post(c, 8).map_err(words)?;
    let message = c.run()?;
    same!({ message.header.message_type }, hv_message_type_HVMSG_X64_IO_PORT_INTERCEPT);
    same!(word_at(c, SLOT), 8);
    Ok(())
}

/// The next message says that an interruption of this type would be taken, by the processor that stands at `rip`.
fn deliverable(c: &mut Client, kind: u32, rip: usize) -> Outcome {
    let message = c.run()?;
    same!({ message.header.message_type }, hv_message_type_HVMSG_X64_INTERRUPTION_DELIVERABLE);
    // SAFETY: a message of that type; both are packed.
    let told = unsafe { &*(&raw const message.u).cast::<hv_x64_interruption_deliverable_message>() };
    same!({ told.deliverable_type }, kind);
    same!({ told.header.rip }, rip as u64);
    Ok(())
}

pub fn interruptions(c: &mut Client) -> Outcome {
    // The register (TLFS, 7.9): NMI, interrupt, four bits of its priority.
    let (nmi, interrupt) = (1, 2);
    // sti; nop; out 0x80, al: interrupts are taken behind the nop.
    resume_at_code(c, &[0xfb, 0x90, 0xe6, 0x80])?;
    c.vm.register_deliverabilty_notifications(0, interrupt).map_err(words)?;
    deliverable(c, 0, CODE + 2)?;
    // An interrupt that the APIC has for it would be taken now, by a guest without handlers.
    let mut registers = c.vcpus[0].get_regs().map_err(words)?;
    same!(registers.rflags & 0x200, 0x200);
    registers.rflags = 2;
    c.vcpus[0].set_regs(&registers).map_err(words)?;
    c.vm.register_deliverabilty_notifications(0, nmi).map_err(words)?;
    deliverable(c, 2, CODE + 2)?;
    let message = c.run()?;
    same!({ message.header.message_type }, hv_message_type_HVMSG_X64_IO_PORT_INTERCEPT);
    Ok(())
}

pub fn events(c: &mut Client) -> Outcome {
    same!(c.vm.signal_event_direct(0, SINT, 5).map_err(words)?, true);
    same!(c.vm.signal_event_direct(0, SINT, 5).map_err(words)?, false);
    same!(word_at(c, EVENTS as usize + SINT as usize * 256), 1 << 5);
    Ok(())
}
