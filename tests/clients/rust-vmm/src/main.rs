// SPDX-License-Identifier: GPL-2.0-only
//! What a VMM on the released crates mshv-ioctls and mshv-bindings asks of /dev/mshv, in the order in
//! which cloud-hypervisor asks it, and with its values: every call has to succeed, and what was set has
//! to be what is got. Reports in KTAP.
//!
//! Then what other VMMs ask (others.rs). The crates are used as they are. A call of theirs that this driver
//! or hypervisor does not take is a failure here, whatever the reason.

macro_rules! same {
    ($got:expr, $wanted:expr) => {
        let (got, wanted) = ($got, $wanted);
        if got != wanted {
            return Err(format!("{} is {:x?}, not {:x?}", stringify!($got), got, wanted));
        }
    };
}

#[path = "../../ktap.rs"]
mod ktap;
mod others;

use ktap::{Outcome, Step};
use mshv_bindings::*;
use mshv_ioctls::{InterruptRequest, IoEventAddress, Mshv, MshvError, NoDatamatch, VcpuFd, VmFd, VmType};
use vmm_sys_util::eventfd::EventFd;

const PAGE: usize = 4096;
const MEMORY: usize = 4 << 20;
const DOORBELL: u64 = 0xfe00_0000;
const CODE: usize = 0x1000;

fn words(error: MshvError) -> String {
    format!("{error:?}")
}

/// All that is opened on the way.
struct Client {
    mshv: Mshv,
    vm: VmFd,
    vcpus: Vec<VcpuFd>,
    memory: *mut u8,
    doorbell: EventFd,
    interrupt: EventFd,
}

impl Client {
    /// Runs processor 0 until it has a message. As VMMs do, it comes back where Linux wanted its thread first.
    fn run(&mut self) -> Result<hv_message, String> {
        loop {
            match self.vcpus[0].run() {
                Err(MshvError::Errno(error)) if error.errno() == libc::EINTR => (),
                result => return result.map_err(words),
            }
        }
    }
}

fn code(bytes: &[u8], memory: *mut u8) {
    // SAFETY: the code lies inside the guest's memory, which is ours to write to.
    unsafe { std::ptr::copy_nonoverlapping(bytes.as_ptr(), memory.add(CODE), bytes.len()) }
}

fn open() -> Result<Client, String> {
    let mshv = Mshv::new().map_err(words)?;
    let mut args = mshv.make_default_partition_create_arg(VmType::Normal);
    args.pt_flags |= 1 << MSHV_PT_BIT_SMT_ENABLED_GUEST;
    let vm = mshv.create_vm_with_args(&args).map_err(words)?;
    vm.set_partition_property(
        hv_partition_property_code_HV_PARTITION_PROPERTY_SYNTHETIC_PROC_FEATURES,
        mshv.make_default_synthetic_features_mask(),
    )
    .map_err(words)?;
    // SAFETY: a fresh mapping.
    let memory = unsafe {
        libc::mmap(
            std::ptr::null_mut(),
            MEMORY,
            libc::PROT_READ | libc::PROT_WRITE,
            libc::MAP_PRIVATE | libc::MAP_ANONYMOUS,
            -1,
            0,
        )
    };
    if memory == libc::MAP_FAILED {
        return Err("mmap".into());
    }
    let event = || EventFd::new(libc::EFD_NONBLOCK).map_err(|e| e.to_string());
    Ok(Client {
        mshv,
        vm,
        vcpus: Vec::new(),
        memory: memory.cast(),
        doorbell: event()?,
        interrupt: event()?,
    })
}

fn initialize(c: &mut Client) -> Outcome {
    c.vm.initialize().map_err(words)?;
    for (code, value) in [
        (hv_partition_property_code_HV_PARTITION_PROPERTY_UNIMPLEMENTED_MSR_ACTION, 1),
        (hv_partition_property_code_HV_PARTITION_PROPERTY_TIME_FREEZE, 1),
    ] {
        c.vm.set_partition_property(code, value).map_err(words)?;
    }
    Ok(())
}

fn properties(c: &mut Client) -> Outcome {
    let second = hv_partition_property_code_HV_PARTITION_PROPERTY_PROCESSOR_FEATURES1;
    for code in [
        hv_partition_property_code_HV_PARTITION_PROPERTY_PROCESSOR_XSAVE_FEATURES,
        hv_partition_property_code_HV_PARTITION_PROPERTY_PROCESSOR_FEATURES0,
        second,
    ] {
        let value = c.vm.get_partition_property(code).map_err(words)?;
        // The second bank may be empty.
        if value == 0 && code != second {
            return Err(format!("property 0x{code:x} is 0"));
        }
    }
    let features = c
        .vm
        .get_partition_property(
            hv_partition_property_code_HV_PARTITION_PROPERTY_SYNTHETIC_PROC_FEATURES,
        )
        .map_err(words)?;
    same!(features, c.mshv.make_default_synthetic_features_mask());
    Ok(())
}

fn ioevents(c: &mut Client) -> Outcome {
    // As many as a machine with some devices has.
    for queue in 0..40 {
        let address = IoEventAddress::Mmio(DOORBELL + 4 * queue);
        c.vm.register_ioevent(&c.doorbell, &address, NoDatamatch).map_err(words)?;
    }
    for queue in 1..40 {
        let address = IoEventAddress::Mmio(DOORBELL + 4 * queue);
        c.vm.unregister_ioevent(&c.doorbell, &address, NoDatamatch).map_err(words)?;
    }
    Ok(())
}

fn memory(c: &mut Client) -> Outcome {
    let region = |flags: u32| mshv_user_mem_region {
        size: MEMORY as u64,
        guest_pfn: 0,
        userspace_addr: c.memory as u64,
        flags: flags as u8,
        ..Default::default()
    };
    let rights = 1 << MSHV_SET_MEM_BIT_WRITABLE | 1 << MSHV_SET_MEM_BIT_EXECUTABLE;
    c.vm.map_user_memory(region(rights)).map_err(words)?;
    c.vm.unmap_user_memory(region(1 << MSHV_SET_MEM_BIT_UNMAP)).map_err(words)?;
    c.vm.map_user_memory(region(rights)).map_err(words)
}

fn processors(c: &mut Client) -> Outcome {
    for index in 0..2 {
        c.vcpus.push(c.vm.create_vcpu(index).map_err(words)?);
    }
    if c.vcpus[0].get_vp_reg_page().is_none() {
        return Err("no register page".into());
    }
    let suspended = c.vcpus[1].get_suspend_regs().map_err(words)?;
    same!(suspended.intercept_register, 0);
    Ok(())
}

fn cpuid(c: &mut Client) -> Outcome {
    let entry = |function, index, values: [u32; 4]| hv_cpuid_entry {
        function,
        index,
        eax: values[0],
        ebx: values[1],
        ecx: values[2],
        edx: values[3],
        ..Default::default()
    };
    for (index, vcpu) in c.vcpus.iter().enumerate() {
        let id = index as u32;
        let before = vcpu.get_cpuid_values(1, 0, 0, 0).map_err(words)?;
        let entries = [
            entry(1, 0, [0, id << 24 | 2 << 16, 1 << 31, 1 << 12 | 1 << 28]),
            entry(0xb, 0, [0, 1, 0x100, id]),
            entry(0xb, 1, [1, 2, 0x201, id]),
            entry(0x8000_0002, 0, [0x6d73_6876; 4]),
            entry(0x8000_0003, 0, [0x6d73_6876; 4]),
            entry(0x8000_0004, 0, [0x0073_6876; 4]),
        ];
        let list = CpuId::from_entries(&entries).map_err(|e| format!("{e:?}"))?;
        vcpu.register_intercept_result_cpuid(&list).map_err(words)?;
        let after = vcpu.get_cpuid_values(1, 0, 0, 0).map_err(words)?;
        same!(after[1] & (id << 24 | 2 << 16), id << 24 | 2 << 16);
        same!(after[0], before[0]);
        same!(after[2], before[2] | 1 << 31);
        same!(vcpu.get_cpuid_values(0xb, 1, 0, 0).map_err(words)?[1] & 2, 2);
    }
    Ok(())
}

fn msrs(c: &mut Client) -> Outcome {
    let values = [
        (IA32_MSR_SYSENTER_CS, 0),
        (IA32_MSR_SYSENTER_ESP, 0),
        (IA32_MSR_SYSENTER_EIP, 0),
        (IA32_MSR_STAR, 0),
        (IA32_MSR_CSTAR, 0),
        (IA32_MSR_LSTAR, 0),
        (IA32_MSR_KERNEL_GS_BASE, 0),
        (IA32_MSR_SFMASK, 0),
        (IA32_MSR_MTRR_DEF_TYPE, 0x806),
    ]
    .map(|(index, data)| msr_entry { index, data, ..Default::default() });
    for vcpu in &c.vcpus {
        let set = Msrs::from_entries(&values).map_err(|e| format!("{e:?}"))?;
        vcpu.set_msrs(&set).map_err(words)?;
        let mut got = Msrs::from_entries(&values).map_err(|e| format!("{e:?}"))?;
        vcpu.get_msrs(&mut got).map_err(words)?;
        same!(got.as_slice()[8].data, 0x806);
    }
    Ok(())
}

/// All the MSRs that a snapshot saves, one at a time so that one that is refused has a name. The
/// time-stamp counter cannot be set yet (docs/porting.md): it is only read.
fn snapshot_msrs(c: &mut Client) -> Outcome {
    let mut refused = Vec::new();
    for index in c.vm.get_msr_index_list().map_err(words)? {
        let entry = [msr_entry { index, ..Default::default() }];
        let mut got = Msrs::from_entries(&entry).map_err(|e| format!("{e:?}"))?;
        let mut answer = c.vcpus[0].get_msrs(&mut got);
        if answer.is_ok() && index != IA32_MSR_TSC {
            answer = c.vcpus[0].set_msrs(&got);
        }
        if let Err(e) = answer {
            refused.push(format!("0x{index:x}: {e:?}"));
        }
    }
    if refused.is_empty() {
        Ok(())
    } else {
        Err(refused.join("; "))
    }
}

/// 32-bit protected mode with flat segments: `mov [ebx], eax`, then a port that nobody has.
fn registers(c: &mut Client) -> Outcome {
    let vcpu = &c.vcpus[0];
    code(&[0x89, 0x03, 0xe6, 0x80], c.memory);

    let standard = StandardRegisters {
        rip: CODE as u64,
        rflags: 2,
        rax: 0x1234,
        rbx: DOORBELL,
        r15: 15,
        ..Default::default()
    };
    vcpu.set_regs(&standard).map_err(words)?;
    same!(vcpu.get_regs().map_err(words)?, standard);

    let mut special = vcpu.get_sregs().map_err(words)?;
    let flat = |selector, type_| SegmentRegister {
        base: 0,
        limit: 0xffff_ffff,
        selector,
        type_,
        present: 1,
        db: 1,
        s: 1,
        g: 1,
        ..Default::default()
    };
    special.cs = flat(8, 11);
    special.ds = flat(16, 3);
    special.es = special.ds;
    special.fs = special.ds;
    special.gs = special.ds;
    special.ss = special.ds;
    special.cr0 |= 1;
    special.cr4 = 0;
    vcpu.set_sregs(&special).map_err(words)?;
    let got = vcpu.get_sregs().map_err(words)?;
    same!(got.cr0 & 1, 1);
    same!(got.cs.selector, 8);

    let fpu = FloatingPointUnit { fcw: 0x37f, mxcsr: 0x1f80, ..Default::default() };
    vcpu.set_fpu(&fpu).map_err(words)?;
    same!(vcpu.get_fpu().map_err(words)?.mxcsr, 0x1f80);
    Ok(())
}

/// The rest of a processor, got and set as a snapshot does.
fn other_registers(c: &mut Client) -> Outcome {
    let vcpu = &c.vcpus[0];
    let debug = vcpu.get_debug_regs().map_err(words)?;
    vcpu.set_debug_regs(&debug).map_err(words)?;
    let xcrs = vcpu.get_xcrs().map_err(words)?;
    vcpu.set_xcrs(&xcrs).map_err(words)?;
    let events = vcpu.get_vcpu_events().map_err(words)?;
    vcpu.set_vcpu_events(&events).map_err(words)?;
    let misc = vcpu.get_misc_regs().map_err(words)?;
    vcpu.set_misc_regs(&misc).map_err(words)
}

/// LINT0 takes external interrupts, LINT1 NMIs; the rest goes back as it came.
fn lapic(c: &mut Client) -> Outcome {
    const LVT_LINT0: usize = 0x350;
    const LVT_LINT1: usize = 0x360;
    for vcpu in &c.vcpus {
        let mut state = vcpu.get_lapic().map_err(words)?;
        state.regs[LVT_LINT0 + 1] = 7;
        state.regs[LVT_LINT1 + 1] = 4;
        vcpu.set_lapic(&state).map_err(words)?;
        let got = vcpu.get_lapic().map_err(words)?;
        same!(got.regs[LVT_LINT0 + 1] & 7, 7);
        same!(got.regs[LVT_LINT1 + 1] & 7, 4);
    }
    Ok(())
}

fn start_time(c: &mut Client) -> Outcome {
    c.vm.set_partition_property(
        hv_partition_property_code_HV_PARTITION_PROPERTY_PROCESSORS_PER_SOCKET,
        1,
    )
    .map_err(words)?;
    c.vm.set_partition_property(hv_partition_property_code_HV_PARTITION_PROPERTY_TIME_FREEZE, 0)
        .map_err(words)
}

fn run(c: &mut Client) -> Outcome {
    let message = c.run()?;
    same!({ message.header.message_type }, hv_message_type_HVMSG_X64_IO_PORT_INTERCEPT);
    let port = message.to_ioport_info().map_err(|e| format!("{e:?}"))?;
    same!({ port.port_number }, 0x80);
    same!({ port.rax }, 0x1234);
    /* The write before it was an event, and no intercept. */
    same!(c.doorbell.read().map_err(|e| e.to_string())?, 1);
    let suspended = c.vcpus[0].get_suspend_regs().map_err(words)?;
    same!(suspended.explicit_register, 0);
    Ok(())
}

fn translate(c: &mut Client) -> Outcome {
    let flags = u64::from(HV_TRANSLATE_GVA_VALIDATE_READ);
    let (gpa, result) = c.vcpus[0].translate_gva(CODE as u64 + 5, flags).map_err(words)?;
    same!(gpa, CODE as u64 + 5);
    // SAFETY: both members of the union are the same bits.
    same!(unsafe { result.__bindgen_anon_1.result_code }, 0);
    Ok(())
}

fn dirty_log(c: &mut Client) -> Outcome {
    c.vm.enable_dirty_page_tracking().map_err(words)?;
    let clear = MSHV_GPAP_ACCESS_OP_CLEAR as u8;
    c.vm.get_dirty_log(0, MEMORY, clear).map_err(words)?;
    // mov [0x5000], eax; out 0x80, al
    code(&[0xa3, 0, 0x50, 0, 0, 0xe6, 0x80], c.memory);
    let mut registers = c.vcpus[0].get_regs().map_err(words)?;
    registers.rip = CODE as u64;
    c.vcpus[0].set_regs(&registers).map_err(words)?;
    c.run()?;
    let log = c.vm.get_dirty_log(0, MEMORY, clear).map_err(words)?;
    // Its neighbours, too, if they are one large page.
    same!(log[0] & 1 << 5, 1 << 5);
    c.vm.get_dirty_log(0, MEMORY, MSHV_GPAP_ACCESS_OP_SET as u8).map_err(words)?;
    c.vm.disable_dirty_page_tracking().map_err(words)
}

/// The routing table with one entry, as the ioctl wants it.
#[repr(C)]
struct Table {
    nr: u32,
    rsvd: u32,
    entry: mshv_user_irq_entry,
}

/// Makes GSI 30 that message to processor 1, and nothing else any.
fn route(c: &Client, data: u32) -> Outcome {
    let table = Table {
        nr: 1,
        rsvd: 0,
        entry: mshv_user_irq_entry { gsi: 30, address_lo: 0xfee0_1000, address_hi: 0, data },
    };
    // SAFETY: the layout is that of the header, followed by as many entries as it says.
    let routes = unsafe { &*(&table as *const Table).cast::<mshv_user_irq_table>() };
    c.vm.set_msi_routing(routes).map_err(words)
}

fn irqfd(c: &mut Client) -> Outcome {
    let mut state = c.vcpus[1].get_lapic().map_err(words)?;
    // Software-enabled, or it takes none.
    state.regs[0xf1] |= 1;
    state.regs[0xf0] = -1;
    c.vcpus[1].set_lapic(&state).map_err(words)?;
    route(c, 0x55)?;
    c.vm.register_irqfd(&c.interrupt, 30).map_err(words)?;
    c.interrupt.write(1).map_err(|e| e.to_string())?;
    let state = c.vcpus[1].get_lapic().map_err(words)?;
    // IRR of vectors 0x40 to 0x5f.
    same!(state.regs[0x222] as u8 & 0x20, 0x20);
    c.vm.unregister_irqfd(&c.interrupt, 30).map_err(words)
}

fn interrupt(c: &mut Client) -> Outcome {
    let request = InterruptRequest {
        interrupt_type: hv_interrupt_type_HV_X64_INTERRUPT_TYPE_FIXED,
        apic_id: 1,
        vector: 0x57,
        level_triggered: false,
        logical_destination_mode: false,
        long_mode: false,
    };
    c.vm.request_virtual_interrupt(&request).map_err(words)?;
    let state = c.vcpus[1].get_lapic().map_err(words)?;
    same!(state.regs[0x222] as u8 & 0x80, 0x80);
    Ok(())
}

/// What a snapshot saves of a processor, and a restore sets.
fn snapshot(c: &mut Client) -> Outcome {
    c.vm.set_partition_property(hv_partition_property_code_HV_PARTITION_PROPERTY_TIME_FREEZE, 1)
        .map_err(words)?;
    for vcpu in &c.vcpus {
        let mut all = vcpu.get_all_vp_state_components().map_err(words)?;
        vcpu.set_all_vp_state_components(&mut all).map_err(words)?;
        let xsave = vcpu.get_xsave().map_err(words)?;
        vcpu.set_xsave(&xsave).map_err(words)?;
    }
    c.vm.set_partition_property(hv_partition_property_code_HV_PARTITION_PROPERTY_TIME_FREEZE, 0)
        .map_err(words)
}

fn main() {
    let steps: [Step<Client>; 26] = [
        ("initialize, early and late properties", initialize),
        ("properties are what was set", properties),
        ("ioeventfds", ioevents),
        ("memory", memory),
        ("processors and their register pages", processors),
        ("CPUID results", cpuid),
        ("MSRs", msrs),
        ("registers", registers),
        ("other registers", other_registers),
        ("local APICs", lapic),
        ("time starts", start_time),
        ("a doorbell, then a port", run),
        ("translate an address", translate),
        ("dirty log", dirty_log),
        ("irqfd and MSI routes", irqfd),
        ("an interrupt", interrupt),
        ("MSRs of a snapshot", snapshot_msrs),
        ("state of a snapshot", snapshot),
        ("the host's properties", others::host_properties),
        ("accessed pages", others::accessed),
        ("an irqfd with resample", others::resample),
        ("exceptions", others::exceptions),
        ("messages, and room for them", others::messages),
        ("events", others::events),
        ("when an interrupt or an NMI would be taken", others::interruptions),
        ("and runs on", |c| {
            code(&[0xe6, 0x80], c.memory);
            let mut registers = c.vcpus[0].get_regs().map_err(words)?;
            registers.rip = CODE as u64;
            c.vcpus[0].set_regs(&registers).map_err(words)?;
            c.run().map(|_| ())
        }),
    ];
    const { assert!(PAGE == HV_PAGE_SIZE) };
    std::process::exit(ktap::run("open and create", open, &steps));
}
